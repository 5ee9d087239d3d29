// A task server as they exist: a synchronous gRPC server that runs one task at a time on a thread of its own and tells its
// end once. Its work is to say when it began. Arguments: its address, the orchestrator's address.
#include <grpcpp/grpcpp.h>
#include <mutex>
#include <string>
#include <thread>
#include <time.h>

#include "json_form.grpc.pb.h"

using grpc::ServerContext;
using grpc::Status;
using namespace orchestrator;

static int64_t now_ns() {
    timespec at{};
    clock_gettime(CLOCK_REALTIME, &at);
    return int64_t{at.tv_sec} * 1000000000 + at.tv_nsec;
}

class Wrapper final : public TaskService::Service {
  public:
    explicit Wrapper(const std::string& peer)
        : stub_(OrchestratorService::NewStub(grpc::CreateChannel(peer, grpc::InsecureChannelCredentials()))) {}

    Status StartTask(ServerContext*, const StartTaskRequest* request, StartTaskResponse* response) override {
        std::lock_guard<std::mutex> lock(mutex_);
        if (busy_) {
            response->set_success(false);
            response->set_message("Task not in IDLE state");
            return Status::OK;
        }
        busy_ = true;
        if (worker_.joinable()) worker_.join();
        worker_ = std::thread([this, id = request->task_id()] { work(id); });
        response->set_success(true);
        response->set_task_id(request->task_id());
        response->set_actual_start_time_us(now_ns() / 1000);
        return Status::OK;
    }

    Status StopTask(ServerContext*, const StopTaskRequest*, StopTaskResponse* response) override {
        response->set_success(true);
        return Status::OK;
    }

    Status GetTaskStatus(ServerContext*, const TaskStatusRequest* request, TaskStatusResponse* response) override {
        std::lock_guard<std::mutex> lock(mutex_);
        response->set_task_id(request->task_id());
        response->set_state(busy_ ? RUNNING : IDLE);
        return Status::OK;
    }

  private:
    void work(const std::string& id) {
        const int64_t began = now_ns();
        TaskEndNotification notice;
        notice.set_task_id(id);
        notice.set_result(SUCCESS);
        notice.set_start_time_us(began / 1000);
        notice.set_end_time_us(now_ns() / 1000);
        notice.set_output_data_json("{\"at_ns\": " + std::to_string(began) + "}");
        {
            std::lock_guard<std::mutex> lock(mutex_);
            busy_ = false;
        }
        grpc::ClientContext context;
        TaskEndResponse response;
        stub_->NotifyTaskEnd(&context, notice, &response);
    }

    std::unique_ptr<OrchestratorService::Stub> stub_;
    std::mutex mutex_;
    std::thread worker_;
    bool busy_ = false;
};

int main(int count, char** words) {
    if (count != 3) return 2;
    Wrapper wrapper(words[2]);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(words[1], grpc::InsecureServerCredentials());
    builder.RegisterService(&wrapper);
    builder.BuildAndStart()->Wait();
}
