"""Every operation of both tables is authorised by an action that policies can name."""

from __future__ import annotations

import pytest

import sos.admin.operations
import sos.s3.operations
from sos.domain.policy.actions import ACTIONS, Level


@pytest.mark.parametrize("operation", sos.s3.operations.OPERATIONS, ids=lambda one: str(one.name))
def test_an_s3_operation_has_an_action_of_iam(operation: sos.s3.operations.Operation) -> None:
    for action in (operation.action, operation.version_action):
        assert action in ACTIONS, operation.name
    if operation.level == "object":
        assert {ACTIONS[operation.action], ACTIONS[operation.version_action]} == {Level.OBJECT}


@pytest.mark.parametrize("operation", sos.admin.operations.OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_a_call_of_the_admin_api_has_actions_of_iam(operation: sos.admin.operations.Operation) -> None:
    assert set(operation.actions) <= ACTIONS.keys()
    assert operation.actions or operation.handler is not None, "who decides?"


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("HeadObject", "s3:GetObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("UploadPart", "s3:PutObject"),
        ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
        ("ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"),
        ("DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
    ],
)
def test_where_the_names_differ(name: str, action: str) -> None:
    """Service authorization reference, "Actions, resources, and condition keys for Amazon S3"."""
    assert {one.action for one in sos.s3.operations.OPERATIONS if one.name == name} == {action}
