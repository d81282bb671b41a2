"""The files that a private RabbitMQ node is configured by: its options are here."""

_RABBITMQ_CONF = """\
# The only user; without it there would be a guest with a known password.
default_user = ecom
default_pass = {password}
# Shops come and go through its HTTP interface, whose pages are for people.
management.tcp.ip = 127.0.0.1
management.tcp.port = {http}
collect_statistics_interval = 10000
# Enough for notebooks, and kind to a laptop.
vm_memory_high_watermark.absolute = 768MB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
num_acceptors.tcp = 2
{more}
"""

# Erlang's own resolver fails where a bare machine has no /etc/hosts.
_INETRC = '{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n'


def configuration(password: str, http: int, more: str) -> dict[str, str]:
    """Name → text of each file, for this password of its user, port of its HTTP interface and
    further lines in the format of `rabbitmq.conf`."""
    return {
        "rabbitmq.conf": _RABBITMQ_CONF.format(password=password, http=http, more=more),
        "rabbitmq-env.conf": "",
        "enabled_plugins": "[rabbitmq_management].",
        "inetrc": _INETRC,
    }
