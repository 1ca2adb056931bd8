"""Authentication of S3 requests, and their bodies verified and free of framing."""

from .authenticate import authenticate
from .body import BodyLimits, open_body, read_document
from .errors import AuthError
from .form import Form, open_file, parse_form
from .form_policy import Granted, check_form
from .identity import Credentials, Identity, KeyLookup, Scheme
from .query import decode_key, parse_query, split_path

__all__ = [
    "AuthError",
    "BodyLimits",
    "Credentials",
    "Form",
    "Granted",
    "Identity",
    "KeyLookup",
    "Scheme",
    "authenticate",
    "check_form",
    "decode_key",
    "open_body",
    "open_file",
    "parse_form",
    "parse_query",
    "read_document",
    "split_path",
]
