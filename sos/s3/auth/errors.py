"""Refusals of authentication. Each class carries its S3 code, status and message; the boundary renders them.

Source: AWS S3 API error responses; codes and texts that MinIO clients know.
"""

from __future__ import annotations

from typing import ClassVar

from ...domain.errors import StoreError


class AuthError(StoreError):
    """Base of the refusals. An empty ``message`` stands for ``text``."""

    code: ClassVar[str] = "AccessDenied"
    status: ClassVar[int] = 403
    text: ClassVar[str] = "Access Denied."


class InvalidAccessKeyId(AuthError):
    code = "InvalidAccessKeyId"
    text = "The Access Key Id you provided does not exist in our records."


class AccountDisabled(AuthError):
    code = "InvalidAccessKeyId"
    text = "Your account is disabled; please contact your administrator."


class SignatureDoesNotMatch(AuthError):
    code = "SignatureDoesNotMatch"
    text = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )


class RequestTimeTooSkewed(AuthError):
    code = "RequestTimeTooSkewed"
    text = "The difference between the request time and the server's time is too large."


class RequestExpired(AuthError):
    text = "Request has expired"


class RequestNotYetValid(AuthError):
    text = "Request is not valid yet"


class MissingDate(AuthError):
    status = 400
    text = "AWS authentication requires a valid Date or x-amz-date header"


class MalformedDate(AuthError):
    code = "MalformedDate"
    status = 400
    text = "Invalid date format header, expected to be in ISO8601, RFC1123 or RFC1123Z time format."


class UnsignedHeaders(AuthError):
    """``detail['headers']`` names them, comma separated."""

    text = "There were headers present in the request which were not signed"


class UnsignedParameters(AuthError):
    """``detail['parameters']`` names them, comma separated."""

    text = "There were parameters present in the request which its signature does not cover"


class InvalidToken(AuthError):
    code = "InvalidTokenId"
    text = "The security token included in the request is invalid"


class ExpiredToken(AuthError):
    code = "ExpiredToken"
    status = 400
    text = "The provided token has expired."


class AuthorizationHeaderMalformed(AuthError):
    """``detail['Region']`` is the region expected, when that is what was wrong."""

    code = "AuthorizationHeaderMalformed"
    status = 400
    text = "The authorization header is malformed."


class AuthorizationParametersError(AuthError):
    code = "AuthorizationParametersError"
    status = 400
    text = "Error parsing the Credential/X-Amz-Credential parameter; incorrect service."


class AuthorizationQueryParametersError(AuthError):
    """``detail['Region']`` is the region expected, when that is what was wrong."""

    code = "AuthorizationQueryParametersError"
    status = 400
    text = "Error parsing the X-Amz-Credential parameter."


class AmbiguousCredentials(AuthError):
    code = "InvalidRequest"
    status = 400
    text = "Only one authentication mechanism is allowed in a request."


class UnsupportedSignature(AuthError):
    code = "InvalidRequest"
    status = 400
    text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


class InvalidURI(AuthError):
    code = "InvalidURI"
    status = 400
    text = "Couldn't parse the specified URI."


class MissingContentLength(AuthError):
    code = "MissingContentLength"
    status = 411
    text = "You must provide the Content-Length HTTP header."


class MalformedForm(AuthError):
    code = "MalformedPOSTRequest"
    status = 400
    text = "The body of your POST request is not well-formed multipart/form-data."


class MissingFields(AuthError):
    code = "MissingFields"
    status = 400
    text = "Missing fields in request."


class InvalidPolicyDocument(AuthError):
    code = "InvalidPolicyDocument"
    status = 400
    text = "The content of the form does not meet the conditions specified in the policy document."


class PolicyRefused(AuthError):
    """A form does not meet its own policy; the message says which condition failed."""

    text = "Access Denied. Policy Condition failed"
