"""The two forms of the task protocol, with stubs made at run time from the proto files beside this one."""

import json
import pathlib
import sys

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))


class Form:
    """Stubs of one form, and its way of carrying parameters and outputs."""

    def __init__(self, name):
        self.json = name == "json"
        self.messages, self.services = grpc.protos_and_services(f"{name}_form.proto")

    def parameters(self, request):
        return json.loads(request.parameters_json) if self.json else dict(request.parameters)

    def start(self, parameters, **fields):
        carried = {"parameters_json": json.dumps(parameters)} if self.json else {"parameters": parameters}
        return self.messages.StartTaskRequest(**carried, **fields)

    def output(self, notice):
        if not self.json:
            return dict(notice.output_data)
        return json.loads(notice.output_data_json) if notice.output_data_json else None

    def end(self, output, **fields):
        if output is None:
            carried = {}
        else:
            carried = {"output_data_json": json.dumps(output)} if self.json else {"output_data": output}
        return self.messages.TaskEndNotification(**carried, **fields)


def say(**what):
    """One line of JSON for whoever started this program."""
    print(json.dumps(what), flush=True)
