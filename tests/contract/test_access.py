"""What a user may do, asked on somebody's behalf."""

from __future__ import annotations

from tests.contract.questions import Api


async def test_review_says_what_a_user_may(api: Api) -> None:
    """A SubjectAccessReview is answered at once, has no name, and nothing of it is kept."""
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    spec = {
        "user": "somebody",
        "groups": ["system:masters"],
        "resourceAttributes": {
            "verb": "patch",
            "group": "apps",
            "resource": "deployments",
            "subresource": "scale",
        },
    }
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    reply = await api.ask("POST", path, {**kind, "metadata": {}, "spec": spec})

    assert reply.status == 201
    assert reply.body["status"]["allowed"] is True
    assert "name" not in reply.body["metadata"]
