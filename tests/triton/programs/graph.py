"""Arguments: gRPC port, model, file of arrays (values, lengths), file to write the outputs to."""

import json
import sys

import numpy as np
import tritonclient.grpc as grpc

port, model, source, target = sys.argv[1:]
client = grpc.InferenceServerClient(f"127.0.0.1:{port}")
with np.load(source) as arrays:
    inputs = []
    for name, data_type in (("input_values", "FP32"), ("input_lengths", "INT64")):
        inputs.append(grpc.InferInput(name, arrays[name].shape, data_type))
        inputs[-1].set_data_from_numpy(arrays[name])
result = client.infer(model, inputs)
np.savez(target, **{name: result.as_numpy(name) for name in ("logits", "output_lengths")})
print(json.dumps("done"))
