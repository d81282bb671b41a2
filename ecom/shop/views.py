"""Views of the shop's own tables, for whoever opens a service's database by hand.

They are in `data/views`, a file a service that has any, and come beside those of the machinery
(`ecom.stores.views`), in the same form: each begins with a comment that says what it shows. Times
are UTC, money is in pounds.
"""

from pathlib import Path

from ecom.runtime.service import Service
from ecom.runtime.tables import MACHINERY
from ecom.stores import views
from ecom.stores.views import View

FOLDER = Path(__file__).parent / "data" / "views"


def views_of(service: Service) -> list[View]:
    """All views of a service's database; the last one, `about`, describes tables and views."""
    path = FOLDER / f"{service.name}.sql"
    own = path.read_text() if path.exists() else ""  # a further service may have none
    return views.views_of((*service.rows, *MACHINERY), own)
