"""The one table of what can be configured while the server runs: subsystems and their keys, as ``mc admin config`` knows
them. Names, defaults and help texts are MinIO's (``internal/config`` there).

A key is either the mirror of a server setting (``setting``) or belongs to a subsystem that is configured here alone.
"""

from __future__ import annotations

from dataclasses import dataclass

ENABLE, COMMENT = "enable", "comment"
#: The target that every subsystem has.
DEFAULT_TARGET = "_"
ON, OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a subsystem.

    :param kind: as clients show it: string, url, number, duration, csv, list, address, ``on|off``, sentence
    :param optional: False: needed while the target is enabled
    :param secret: sealed where it is stored, never shown by a get
    :param hidden: not shown while it is empty
    :param helped: False: not in the help
    :param setting: field of ``Settings`` whose value counts unless another is stored; empty for none
    """

    name: str
    help: str
    kind: str = "string"
    default: str = ""
    optional: bool = True
    secret: bool = False
    hidden: bool = False
    helped: bool = True
    setting: str = ""

    @property
    def described(self) -> str:
        """Its help with its default."""
        return f"{self.help} (default: '{self.default}')" if self.default else self.help


@dataclass(frozen=True, slots=True)
class Subsystem:
    """One subsystem.

    :param many: it has targets besides the default one
    :param essential: key without which a target is not in use, empty for none
    :param legacy: taken, and shown where it is asked for or set, but not in lists
    """

    name: str
    help: str
    keys: tuple[Key, ...]
    many: bool = False
    essential: str = ""
    legacy: bool = False

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)

    @property
    def switched(self) -> bool:
        """Whether a set without ``enable`` switches a target on."""
        return self.keys[0].name == ENABLE

    @property
    def names(self) -> tuple[str, ...]:
        """Of its keys, and the comment that all have."""
        return (*(key.name for key in self.keys), COMMENT)

    def variable(self, key: str, target: str = DEFAULT_TARGET) -> str:
        """Name of the environment variable that pins a key, as clients know it."""
        name = f"MINIO_{self.name.upper()}_{key.upper()}"
        return name if target == DEFAULT_TARGET else f"{name}_{target}"


_COMMENT = Key(COMMENT, "optionally add a comment to this setting", "sentence")
_ENABLE = Key(ENABLE, "", "on|off", helped=False)

_REGION = Subsystem(
    "region",
    "label the location of the server, where 'site region' does not",
    (Key("name", 'name of the location of the server e.g. "us-west-rack2"', setting="region"), _COMMENT),
    legacy=True,
)
_SITE = Subsystem(
    "site",
    "label the server and its location",
    (
        Key("name", 'name for the site e.g. "cal-rack0"'),
        Key("region", 'name of the location of the server e.g. "us-west-1"', setting="region"),
        _COMMENT,
    ),
)
_API = Subsystem(
    "api",
    "manage global HTTP API call specific features, such as throttling, authentication types, etc.",
    (
        Key(
            "requests_max", "set the maximum number of concurrent requests (default: auto)", "number",
            setting="requests_max",
        ),
        Key(
            "cors_allow_origin", "set comma separated list of origins allowed for CORS requests", "csv", "*",
            setting="cors_allow_origin",
        ),
        Key(
            "root_access", "turn 'off' root credential access for all API calls including s3, admin operations",
            "boolean", ON, setting="root_access",
        ),
    ),
)  # fmt: skip
_DRIVE = Subsystem(
    "drive",
    "enable drive specific settings",
    (Key("max_timeout", "set per call max_timeout for the drive", "duration", "20s", setting="drive_deadline_s"),),
)
_STORAGE_CLASS = Subsystem(
    "storage_class",
    "define object level redundancy",
    (
        Key(
            "standard", "set the parity count for default standard storage class", setting="storage_class_standard"
        ),
        Key(
            "rrs", "set the parity count for reduced redundancy storage class", default="EC:1",
            setting="storage_class_rrs",
        ),
        _COMMENT,
    ),
)  # fmt: skip
_OPENID = Subsystem(
    "identity_openid",
    "enable OpenID SSO support",
    (
        _ENABLE,
        Key("display_name", "Friendly display name for this Provider/App"),
        Key(
            "config_url",
            'openid discovery document e.g. "https://accounts.google.com/.well-known/openid-configuration"',
            "url",
            optional=False,
        ),
        Key(
            "client_id",
            'unique public identifier for apps e.g. "292085223830.apps.googleusercontent.com"',
            optional=False,
        ),
        Key("client_secret", "secret for the unique public identifier for apps", optional=False, secret=True),
        Key("claim_name", "JWT canned policy claim name", default="policy"),
        Key("claim_userinfo", "Enable fetching claims from UserInfo Endpoint for authenticated user", "on|off"),
        Key(
            "role_policy",
            'Set the IAM access policies applicable to this client application and IDP e.g. "app-bucket-write,app-bucket-list"',
        ),
        Key(
            "claim_prefix", "[DEPRECATED use 'claim_name'] JWT claim namespace prefix e.g. \"customer1/\"", hidden=True
        ),
        Key(
            "redirect_uri",
            "[DEPRECATED use env 'MINIO_BROWSER_REDIRECT_URL'] Configure custom redirect_uri for OpenID login flow callback",
            hidden=True,
        ),
        Key("redirect_uri_dynamic", "Enable 'Host' header based dynamic redirect URI", "on|off", OFF),
        Key(
            "scopes",
            "Comma separated list of OpenID scopes for server, defaults to advertised scopes from discovery document "
            'e.g. "email,admin"',
            "csv",
        ),
        Key(
            "vendor",
            "Specify vendor type for vendor specific behavior to checking validity of temporary credentials and service "
            "accounts",
        ),
        Key(
            "keycloak_realm",
            "Specify Keycloak 'realm' name, only honored if vendor was set to 'keycloak' as value, if no realm is "
            "specified 'master' is default",
        ),
        Key("keycloak_admin_url", "Specify Keycloak 'admin' REST API endpoint e.g. http://localhost:8080/auth/admin/"),
        Key("user_readable_claim", "claim that names the user in listings", helped=False),
        Key("user_id_claim", "claim that tells users apart", helped=False),
        _COMMENT,
    ),
    many=True,
    essential="config_url",
)
_LDAP = Subsystem(
    "identity_ldap",
    "enable LDAP SSO support",
    (
        _ENABLE,
        Key(
            "server_addr",
            'AD/LDAP server address e.g. "myldap.com" or "myldapserver.com:636"',
            "address",
            optional=False,
        ),
        Key(
            "srv_record_name",
            'DNS SRV record name for LDAP service, if given, must be one of "ldap", "ldaps" or "on"',
        ),
        Key(
            "user_dn_search_base_dn", '";" separated list of user search base DNs e.g. "dc=myldapserver,dc=com"', "list"
        ),
        Key("user_dn_search_filter", "Search filter to lookup user DN"),
        Key(
            "user_dn_attributes", '"," separated list of user DN attributes e.g. "uid,cn,mail,sshPublicKey"', "list"
        ),
        Key("group_search_filter", 'search filter for groups e.g. "(&(objectclass=groupOfNames)(memberUid=%s))"'),
        Key(
            "group_search_base_dn", '";" separated list of group search base DNs e.g. "dc=myldapserver,dc=com"', "list"
        ),
        Key("tls_skip_verify", "trust server TLS without verification", "on|off", OFF),
        Key("server_insecure", "allow plain text connection to AD/LDAP server", "on|off", OFF),
        Key("server_starttls", "use StartTLS connection to AD/LDAP server", "on|off", OFF),
        Key("lookup_bind_dn", "DN for LDAP read-only service account used to perform DN and group lookups"),
        Key(
            "lookup_bind_password",
            "Password for LDAP read-only service account used to perform DN and group lookups",
            secret=True,
        ),
        _COMMENT,
    ),
    essential="server_addr",
)  # fmt: skip
_TLS = Subsystem(
    "identity_tls",
    "enable X.509 TLS certificate SSO support",
    (
        Key("skip_verify", "trust client certificates without verification", "on|off", OFF),
        Key(ENABLE, "enable the identity by certificates of clients", "on|off"),
        _COMMENT,
    ),
    essential=ENABLE,
)
_PLUGIN = Subsystem(
    "identity_plugin",
    "enable Identity Plugin via external hook",
    (
        Key(
            "url",
            'plugin hook endpoint (HTTP(S)) e.g. "http://localhost:8181/path/to/endpoint"',
            "url",
            optional=False,
        ),
        Key("auth_token", "authorization token for plugin hook endpoint", secret=True),
        Key("role_policy", "policies to apply for plugin authorized users", optional=False),
        Key("role_id", "unique ID to generate the ARN"),
        _COMMENT,
    ),
    essential="url",
)

SUBSYSTEMS: dict[str, Subsystem] = {
    one.name: one for one in (_REGION, _SITE, _API, _DRIVE, _STORAGE_CLASS, _OPENID, _LDAP, _TLS, _PLUGIN)
}
"""By name, in the order in which they are shown. Of two that mirror one setting the later counts where both are set."""


def places_of(variable: str) -> tuple[str, str, str] | None:
    """Subsystem, key and target that a variable pins; None where it is about none.

    :param variable: without its ``MINIO_`` or ``SOS_``
    """
    for subsystem in SUBSYSTEMS.values():
        rest = variable.removeprefix(f"{subsystem.name.upper()}_")
        if rest == variable:
            continue
        by_length = sorted(subsystem.names, key=len, reverse=True)
        for name in by_length:
            if rest == name.upper():
                return subsystem.name, name, DEFAULT_TARGET
        for name in by_length:
            target = rest.removeprefix(f"{name.upper()}_")
            if subsystem.many and target not in ("", rest):
                return subsystem.name, name, target
    return None
