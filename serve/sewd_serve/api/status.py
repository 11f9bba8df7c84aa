"""``/health``, ``/metrics``, ``/v1/models`` and ``/admin/reload``."""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sewd_serve.api.endpoint import Respond, service_of
from sewd_serve.errors import NotFoundError, UnavailableError
from sewd_serve.worker.messages import Model

_STARTED = int(time.time())


async def live(request: Request, respond: Respond) -> None:
    """Answer 200 unless the inference process hangs."""
    if service_of(request).process.is_stalled:
        raise UnavailableError("the inference process makes no progress")
    await respond(JSONResponse({"status": "live"}))


async def ready(request: Request, respond: Respond) -> None:
    """Answer 200 if a request can be served: every model is loaded and reproduced its golden utterance."""
    service = service_of(request)
    if service.is_draining or not service.process.is_ready:
        raise UnavailableError("the server is stopping" if service.is_draining else "the models are loading")
    await respond(JSONResponse({"status": "ready"}))


async def metrics(request: Request, respond: Respond) -> None:
    """Answer with the metrics, in Prometheus' text format."""
    service = service_of(request)
    service.metrics.restarts.set(service.process.restarts)
    await respond(Response(service.metrics.text(), media_type="text/plain; version=0.0.4"))


async def models(request: Request, respond: Respond) -> None:
    """Answer with all models."""
    data = [_as_dict(model) for model in service_of(request).models]
    await respond(JSONResponse({"object": "list", "data": data}))


async def model(request: Request, respond: Respond) -> None:
    """Answer with one model."""
    name = request.path_params["name"]
    for each in service_of(request).models:
        if each.name == name:
            await respond(JSONResponse(_as_dict(each)))
            return
    raise NotFoundError(f"there is no model {name[:60]!r}; GET /v1/models lists them", param="model")


async def reload(request: Request, respond: Respond) -> None:
    """Open all bundles again; requests under way end with the models they began with."""
    service = service_of(request)
    await service.process.reload()
    await models(request, respond)


def _as_dict(model: Model) -> dict[str, object]:
    return {
        "id": model.name,
        "object": "model",
        "created": _STARTED,
        "owned_by": "sewd",
        "task": model.task,
        "precision": model.precision,
        "provider": model.provider,
    }
