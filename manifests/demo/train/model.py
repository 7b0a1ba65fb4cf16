"""MLServer's scikit-learn runtime, with the revision that answered in a header of every response."""

import os

from fastapi import HTTPException
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, Parameters
from mlserver_sklearn import SKLearnModel

REVISION_HEADERS = {"x-serving-revision": os.environ.get("SERVING_REVISION", "unknown")}


class Digits(SKLearnModel):
    """Answers as SKLearnModel does; its errors, too, say which revision made them.

    MLServer turns its own errors into responses without headers, and leaves an HTTPException to
    FastAPI, which keeps them. Its failure counter counts both alike.
    """

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        try:
            response = await super().predict(payload)
        except MLServerError as error:
            raise HTTPException(error.status_code, str(error), headers=REVISION_HEADERS) from error
        except Exception as error:
            raise HTTPException(500, f"{type(error).__name__}: {error}", headers=REVISION_HEADERS) from error
        response.parameters = Parameters(headers=REVISION_HEADERS)
        return response
