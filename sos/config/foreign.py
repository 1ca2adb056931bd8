"""What MinIO can be configured with and this server cannot: subsystems and keys with MinIO's defaults.

An export of a MinIO names all of them. What is at its default there says nothing, and can be left out when the export is
imported here; what was set asks for something that would not happen.

Source: the export of a MinIO (2026-02-12) that nothing was set for, and ``DefaultKVS`` of ``internal/config`` there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_DEFAULTS = r"""
subnet license= api_key= proxy=
callhome enable=off frequency=24h
api cluster_deadline=10s remote_transport_deadline=2h list_quorum=strict replication_priority=auto
    replication_max_workers=500 replication_max_lrg_workers=10 transition_workers=100
    stale_uploads_cleanup_interval=6h stale_uploads_expiry=24h delete_cleanup_interval=5m odirect=on
    gzip_objects=off sync_events=off object_max_versions=9223372036854775807 disable_odirect=
scanner speed=default alert_excess_versions=100 alert_excess_folders=50000 idle_speed= delay= max_wait= cycle=
batch replication_workers_wait=0ms keyrotation_workers_wait=0ms expiration_workers_wait=0ms
compression enable=off allow_encryption=off extensions=.txt,.log,.csv,.json,.tar,.xml,.bin
    mime_types=text/*,application/json,application/xml,binary/octet-stream
policy_plugin url= auth_token= enable_http2=off
logger_webhook enable=off endpoint= auth_token= client_cert= client_key= proxy= batch_size=1 queue_size=100000
    queue_dir= max_retry=0 retry_interval=3s http_timeout=5s
audit_webhook enable=off endpoint= auth_token= client_cert= client_key= batch_size=1 queue_size=100000 queue_dir=
    max_retry=0 retry_interval=3s http_timeout=5s
audit_kafka enable=off topic= brokers= sasl_username= sasl_password= sasl_mechanism=plain client_tls_cert=
    client_tls_key= tls_client_auth=0 sasl=off tls=off tls_skip_verify=off version= queue_size=100000 queue_dir=
notify_webhook enable=off endpoint= auth_token= queue_limit=0 queue_dir= client_cert= client_key=
notify_amqp enable=off url= exchange= exchange_type= routing_key= mandatory=off durable=off no_wait=off internal=off
    auto_deleted=off delivery_mode=0 publisher_confirms=off queue_limit=0 queue_dir=
notify_kafka enable=off topic= brokers= sasl_username= sasl_password= sasl_mechanism=plain client_tls_cert=
    client_tls_key= tls_client_auth=0 sasl=off tls=off tls_skip_verify=off queue_limit=0 queue_dir= version=
    batch_size=0 batch_commit_timeout=0s compression_codec= compression_level=
notify_mqtt enable=off broker= topic= password= username= qos=0 keep_alive_interval=0s reconnect_interval=0s
    queue_dir= queue_limit=0
notify_nats enable=off address= subject= username= password= token= tls=off tls_skip_verify=off cert_authority=
    client_cert= client_key= ping_interval=0 jetstream=off streaming=off streaming_async=off
    streaming_max_pub_acks_in_flight=0 queue_dir= queue_limit=0 streaming_cluster_id=
notify_nsq enable=off nsqd_address= topic= tls=off tls_skip_verify=off queue_dir= queue_limit=0
notify_mysql enable=off format=namespace dsn_string= table= queue_dir= queue_limit=0 max_open_connections=2
notify_postgres enable=off format=namespace connection_string= table= queue_dir= queue_limit=0
    max_open_connections=2
notify_elasticsearch enable=off url= format=namespace index= queue_dir= queue_limit=0 username= password=
notify_redis enable=off format=namespace address= key= password= user= queue_dir= queue_limit=0
lambda_webhook enable=off endpoint= auth_token= client_cert= client_key=
etcd endpoints= path_prefix= coredns_path=/skydns client_cert= client_cert_key=
browser hsts_seconds=0 hsts_include_subdomains=off hsts_preload=off referrer_policy=strict-origin-when-cross-origin
    csp_policy="default-src 'self' 'unsafe-eval' 'unsafe-inline'; script-src 'self' https://unpkg.com;
        connect-src 'self' https://unpkg.com;"
ilm transition_workers=100 expiration_workers=100
storage_class optimize=availability inline_block=
heal bitrotscan=off max_sleep=250ms max_io=100 drive_workers=
policy_opa url= auth_token=
"""
"""A subsystem a paragraph; further lines are indented."""

_WITHOUT_EFFECT = {
    "api": "requests_deadline ready_deadline extend_list_cache_life replication_workers replication_failed_workers "
    "expiry_workers",
    "storage_class": "dma",
}
"""Keys of older releases that MinIO takes and does nothing with."""

_PAIR = re.compile(r'([a-z][a-z0-9_]*)=("[^"]*"|\S*)')


@cache
def foreign() -> Mapping[str, Mapping[str, str | None]]:
    """Subsystem → key → MinIO's default, None where no value has an effect. Subsystems that are here too are there with the
    keys that are not."""
    found: dict[str, dict[str, str | None]] = {}
    for paragraph in re.split(r"\n(?=\S)", _DEFAULTS.strip()):
        name, _, rest = paragraph.partition(" ")
        found[name] = {key: plain(value) for key, value in _PAIR.findall(rest)}
    for name, keys in _WITHOUT_EFFECT.items():
        found[name] |= dict.fromkeys(keys.split())
    return found


def plain(value: str) -> str:
    """A value as it is compared: without quotes around it, every stretch of blanks one."""
    return " ".join(value.strip().removeprefix('"').removesuffix('"').split())
