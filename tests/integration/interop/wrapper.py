"""An existing task server: one kind of work, one task at a time, the end told once under its own name.

The work gives its parameters back as its output; `sleep_ms` makes it longer, `fail` makes it fail.
"""

import argparse
import concurrent.futures
import threading
import time

import grpc

from form import Form, say


def now_us():
    return time.time_ns() // 1000


class Wrapper:
    def __init__(self, form, name, orchestrator, says_id):
        self.form, self.name, self.orchestrator, self.says_id = form, name, orchestrator, says_id
        self.lock, self.state, self.started, self.stopping = threading.Lock(), "IDLE", 0, False
        self.worker = None

    def StartTask(self, request, context):
        with self.lock:
            if self.state != "IDLE":
                return self.form.messages.StartTaskResponse(success=False, message="not in IDLE", task_id=self.name)
            self.state, self.started, self.stopping = "RUNNING", now_us(), False
        say(
            start=request.task_id,
            parameters=self.form.parameters(request),
            scheduled_time_us=request.scheduled_time_us,
            deadline_us=request.deadline_us,
            rt=[request.rt_policy, request.rt_priority, request.cpu_affinity],
            priority=None if self.form.json else request.priority,
        )
        self.worker = threading.Thread(target=self.work, args=(self.form.parameters(request),))
        self.worker.start()
        name = request.task_id if self.says_id else self.name
        return self.form.messages.StartTaskResponse(
            success=True, message="started", actual_start_time_us=self.started, task_id=name
        )

    def StopTask(self, request, context):
        """Waits for the work to end, whatever `timeout_ms` says."""
        self.stopping = True
        if self.worker:
            self.worker.join()
        return self.form.messages.StopTaskResponse(success=True, message="stopped", stop_time_us=now_us())

    def GetTaskStatus(self, request, context):
        return self.form.messages.TaskStatusResponse(
            task_id=self.name, state=self.state, start_time_us=self.started, elapsed_time_us=now_us() - self.started
        )

    def work(self, parameters):
        time.sleep(int(parameters.get("sleep_ms", 0)) / 1000)
        output, result, error = parameters, "SUCCESS", ""
        if "fail" in parameters:
            output, result, error = None, "FAILURE", str(parameters["fail"])
        elif self.stopping:
            result = "CANCELLED"
        end = now_us()
        notice = self.form.end(
            output,
            task_id=self.name,
            result=result,
            start_time_us=self.started,
            end_time_us=end,
            execution_duration_us=end - self.started,
            error_message=error,
        )
        self.state = "COMPLETED"
        with grpc.insecure_channel(self.orchestrator) as channel:
            answer = self.form.services.OrchestratorServiceStub(channel).NotifyTaskEnd(notice, timeout=5)
        self.state = "IDLE"
        say(acknowledged=answer.acknowledged, message=answer.message)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=["json", "map"], required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--orchestrator", required=True)
    parser.add_argument("--says-id", action="store_true", help="acknowledge a start with the id of the task")
    arguments = parser.parse_args()
    form = Form(arguments.form)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    wrapper = Wrapper(form, arguments.name, arguments.orchestrator, arguments.says_id)
    form.services.add_TaskServiceServicer_to_server(wrapper, server)
    port = server.add_insecure_port(arguments.address)
    server.start()
    say(port=port)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
