"""Arguments: gRPC port, model, file of recordings. Prints each one's text and transcript.

They are sent at once, so that Triton batches them.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tritonclient.grpc as grpc

port, model, source = sys.argv[1:]
client = grpc.InferenceServerClient(f"127.0.0.1:{port}")


def transcribe(samples):
    values = grpc.InferInput("samples", [1, len(samples)], "FP32")
    values.set_data_from_numpy(samples[None])
    try:
        result = client.infer(model, [values])
    except grpc.InferenceServerException as error:
        return {"error": error.message()}
    return {name: result.as_numpy(name)[0, 0].decode() for name in ("text", "transcript")}


with np.load(source) as arrays, ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(transcribe, arrays.values()))))
