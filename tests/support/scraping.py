"""A page of metrics, read as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families


def families(text):
    """Metric families by name."""
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(found, name, **labels):
    """The one sample of this name whose labels are (among others) these."""
    samples = [sample for family in found.values() for sample in family.samples]
    (sample,) = [
        sample
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sample.value
