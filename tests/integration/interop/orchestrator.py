"""An existing orchestrator: starts one task over a new channel, waits for its end, and says what it saw."""

import argparse
import concurrent.futures
import json
import queue
import time

import grpc

from form import Form, say


class Orchestrator:
    def __init__(self, form):
        self.form, self.ends = form, queue.Queue()

    def NotifyTaskEnd(self, request, context):
        self.ends.put(request)
        return self.form.messages.TaskEndResponse(acknowledged=True, message="noted")

    def HealthCheck(self, request, context):
        return self.form.messages.HealthCheckResponse(
            healthy=True, status="running", timestamp_us=time.time_ns() // 1000
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=["json", "map"], required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--task", required=True, help="address of the task server")
    parser.add_argument("--parameters", type=json.loads, required=True)
    # Over a Unix socket the gRPC core calls the server by the escaped path, which servers built on h2 refuse.
    parser.add_argument("--authority", help="what the task server is called, instead of its address")
    arguments = parser.parse_args()
    form = Form(arguments.form)
    orchestrator = Orchestrator(form)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    form.services.add_OrchestratorServiceServicer_to_server(orchestrator, server)
    port = server.add_insecure_port(arguments.address)
    server.start()
    say(port=port)

    fields = {"scheduled_time_us": 1000, "deadline_us": 2000, "rt_policy": "rr", "rt_priority": 7, "cpu_affinity": -1}
    if not form.json:
        fields["priority"] = 60
    options = [("grpc.default_authority", arguments.authority)] if arguments.authority else []
    with grpc.insecure_channel(arguments.task, options=options) as channel:
        stub = form.services.TaskServiceStub(channel)
        answer = stub.StartTask(form.start(arguments.parameters, task_id="critical", **fields), timeout=5)
        say(success=answer.success, message=answer.message, started=answer.actual_start_time_us, task=answer.task_id)
        notice = orchestrator.ends.get(timeout=5)
        say(
            end=notice.task_id,
            result=form.messages.TaskResult.Name(notice.result),
            duration_us=notice.execution_duration_us,
            error=notice.error_message,
            output=form.output(notice),
        )
        status = stub.GetTaskStatus(form.messages.TaskStatusRequest(task_id="critical"), timeout=5)
        stopped = stub.StopTask(form.messages.StopTaskRequest(task_id="critical", timeout_ms=1500), timeout=5)
        say(
            state=form.messages.TaskState.Name(status.state),
            memory=status.memory_usage_bytes,
            stopped=stopped.success,
            message=stopped.message,
        )
    server.stop(None)


if __name__ == "__main__":
    main()
