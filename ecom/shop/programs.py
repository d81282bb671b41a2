"""Which program each process of a shop runs, and what it is told that no other is."""

from collections.abc import Mapping

from ecom.harness.processes import Program

# Loaded once, for all that are forked; a service that is started by hand loads its own only.
IMPORTS = {
    "order": ("ecom.api.app",),
    "payment": ("ecom.effects.http_gateway",),
    "notification": ("ecom.effects.smtp",),
}
OUTSIDE = {"payment": "ECOM_GATEWAY_URL", "notification": "ECOM_SMTP_URL"}


def programs(
    urls: Mapping[str, str], token: str, outside: Mapping[str, str], saga: bytes | None = None
) -> dict[str, Program]:
    """The programs of services and provisioner. `urls` is where each finds the broker, and as
    whom, `token` what the HTTP API asks for, `outside` where payment provider and mail server are;
    `saga` is pickled, if it is not the shop's usual one.
    """
    secrets = {service: {"ECOM_AMQP_URL": url} for service, url in urls.items()}
    secrets["order"]["ECOM_HTTP_TOKEN"] = token
    for service, variable in OUTSIDE.items():
        secrets[service][variable] = outside[variable]
    return {
        service: Program("ecom.serve:serve", ([service], saga), IMPORTS.get(service, ()), its)
        for service, its in secrets.items()
    }
