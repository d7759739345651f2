// `weft chat` and `weft generate --chat`, with lines from a file where a user would type.
#include "tests/cli/bigram_run.h"

#include <algorithm>
#include <poll.h>
#include <pty.h>

namespace weft {
namespace {

class ChatTest : public BigramRun {
protected:
  void Trained(const weft::testing::BigramOptions &options = {}) {
    run_ = MakeRun("run", options);
    ASSERT_EQ(Train(run_).status, 0);
    template_ = folder_.Write(
        "chat.jinja", "{% for m in messages %}{{ m.role[0] ~ ':' ~ m.content ~ '\n' }}{% endfor %}a:");
  }
  ChildResult Chat(const std::string &input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"chat", run_, "--temperature", "0"};
    if (std::find(more.begin(), more.end(), "--max-tokens") == more.end())
      more.insert(more.end(), {"--max-tokens", "3"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Child(folder_, arguments, -1, folder_.Write("input", input)).Wait();
  }
  std::string run_, template_;
};

TEST_F(ChatTest, EachLineGetsAnAnswer) {
  Trained();
  ChildResult once = Weft({"generate", run_, "--chat", "--prompt", "hi", "--template", template_,
                           "--temperature", "0", "--max-tokens", "3"});
  ASSERT_EQ(once.status, 0) << once.error;
  ChildResult result = Chat("hi\nyo", {"--template", template_}); // the last line has no end
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out, once.out + once.out); // a bigram sees the last token alone
  EXPECT_EQ(result.error, "(cut off after 3 tokens; --max-tokens allows more)\n(cut off after 3 tokens; "
                          "--max-tokens allows more)\n");
  EXPECT_EQ(Chat("\n\n/exit\nhi\n", {"--template", template_}).out, "");
}

TEST_F(ChatTest, TheTemplateIsTheCheckpointsOwn) {
  Trained();
  std::string checkpoint = run_ + "/checkpoints/step-000012";
  std::ofstream(checkpoint + "/chat_template.jinja")
      << "{{ raise_exception('said ' ~ messages[-1].content) }}";
  ChildResult result = Chat("one \\\ntwo\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error,
            "error: " + checkpoint + "/chat_template.jinja:1: the template refuses this: said one \ntwo\n");
  EXPECT_NE(Chat("\"\"\"\na\n\nb\\\n\"\"\"\n").error.find("said a\n\nb\\\n"), std::string::npos);
  EXPECT_NE(Chat("//help\n").error.find("said /help\n"), std::string::npos);
  std::ofstream(checkpoint + "/chat_template.jinja") << "\n{{ messages | nonsense }}";
  EXPECT_EQ(Chat("x\n").error,
            "error: " + checkpoint + "/chat_template.jinja:2: the filter nonsense is not read\n");
}

TEST_F(ChatTest, CommandsChangeTheConversation) {
  Trained();
  std::string shows =
      folder_.Write("shows.jinja", "{{ raise_exception((messages | map(attribute='content') | join('|')) ~ "
                                   "messages | length) if messages[-1].content == '?' }}a:");
  auto said = [&](const std::string &input) {
    std::string error =
        Chat(input + "?\n", {"--template", shows, "--system", "S", "--max-tokens", "0"}).error;
    size_t at = error.find("refuses this: ");
    return at == std::string::npos ? error : error.substr(at + 14);
  };
  EXPECT_EQ(said(""), "S|?2\n");
  EXPECT_EQ(said("a\nb\n"), "S|a||b||?6\n");
  EXPECT_EQ(said("a\nb\n/undo\n"), "S|a||?4\n");
  EXPECT_EQ(said("a\n/undo\n/undo\n"), "S|?2\n");
  EXPECT_EQ(said("a\n/reset\n"), "S|?2\n");
  EXPECT_EQ(said("a\n/system T\n"), "T|a||?4\n");
  EXPECT_EQ(said("/system \"\"\n"), "?1\n");
  ChildResult result = Chat("/help\n/rest\nx\n", {"--template", shows});
  EXPECT_NE(result.out.find("/undo "), std::string::npos);
  EXPECT_EQ(result.error,
            "error: unknown command /rest\nhint: /help lists the commands; a message may begin with //\n");
  EXPECT_EQ(result.status, 1);
}

TEST_F(ChatTest, WithoutATemplateTheTextGoesOn) {
  Trained();
  ChildResult once =
      Weft({"generate", run_, "--prompt", "the cat", "--temperature", "0", "--max-tokens", "3", "--no-echo"});
  ChildResult result = Chat("the cat\n");
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out, once.out);
  EXPECT_EQ(result.error.substr(0, result.error.find('\n')),
            "(" + run_ +
                "/checkpoints/step-000012 has no chat template: it goes on with the text that you write)");
  EXPECT_EQ(Chat("x\n", {"--system", "S"}).status, 1);
  EXPECT_EQ(Weft({"generate", run_, "--chat", "--prompt", "x"}).error,
            "error: " + run_ +
                "/checkpoints/step-000012 has no chat template\nhint: --template FILE gives one\n");
  EXPECT_EQ(Weft({"generate", run_, "--system", "S", "--prompt", "x"}).status, 2);
}

TEST_F(ChatTest, AFullContextForgetsTheOldestTurnsAndSaysSo) {
  Trained(); // 32 tokens
  ChildResult result = Chat("qzqz\nqzqz\nqzqz\n", {"--template", template_});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_NE(result.error.find("(the context was full; oldest turns forgotten: 2)"), std::string::npos)
      << result.error;
  result = Chat(std::string(40, 'q') + "\n", {"--template", template_});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error, "error: the message has 45 tokens, with its template, when the model's context "
                          "holds 32\nhint: shorten it\n");
  result = Chat("qzqzqzqzqzqzqzqz\nqzqzqzqzqzqzqzqz\n");
  EXPECT_NE(result.error.find("(the context was full; the beginning of the text is forgotten)"),
            std::string::npos)
      << result.error;
}

TEST_F(ChatTest, CtrlCEndsAnAnswer) {
  weft::testing::BigramOptions options;
  options.context = 1 << 30;
  Trained(options);
  std::string input = folder_.Write("input", "hi\nyo\n");
  Child child(folder_,
              {"chat", run_, "--template", template_, "--temperature", "0", "--max-tokens", "1000000000",
               "--stop", "\x01"},
              -1, input);
  for (int i = 0; i < 6000 && child.Out().empty(); ++i) usleep(5000);
  ASSERT_NE(child.Out(), "");
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_TRUE(result.exited);
  EXPECT_EQ(result.status, 130) << result.error;
}

// `weft` in a terminal of its own.
class Terminal {
public:
  explicit Terminal(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), WEFT_PATH);
    std::vector<char *> argv;
    for (std::string &argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = forkpty(&fd_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      execv(WEFT_PATH, argv.data());
      _exit(127);
    }
  }
  ~Terminal() {
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
    close(fd_);
  }
  Terminal(const Terminal &) = delete;
  void Type(const std::string &text) {
    ASSERT_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Waits until the screen has shown `text`, after what was waited for before; false after half a minute.
  bool Shows(const std::string &text) {
    while (seen_.find(text) == std::string::npos)
      if (!Read()) return false;
    seen_.erase(0, seen_.find(text) + text.size());
    return true;
  }
  bool ShowsMore() { return !seen_.empty() || Read(); }
  int Wait() {
    int status = 0;
    while (read(fd_, std::string(4096, 0).data(), 4096) > 0) {
    }
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

private:
  bool Read() {
    pollfd wait{fd_, POLLIN, 0};
    char bytes[4096];
    ssize_t got = poll(&wait, 1, 30000) > 0 ? read(fd_, bytes, sizeof bytes) : -1;
    if (got > 0) seen_.append(bytes, static_cast<size_t>(got));
    return got > 0;
  }
  int fd_ = -1;
  pid_t pid_ = -1;
  std::string seen_;
};

TEST_F(ChatTest, InATerminalCtrlCEndsAnswersAndTwiceTheProgram) {
  weft::testing::BigramOptions options;
  options.context = 1 << 30;
  Trained(options);
  Terminal terminal(
      {"chat", run_, "--template", template_, "--temperature", "0", "--max-tokens", "1000000000"});
  ASSERT_TRUE(terminal.Shows("(/help says more)"));
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type("/nothing\n");
  ASSERT_TRUE(terminal.Shows("error: unknown command /nothing"));
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type("half a line\x03"); // is forgotten
  ASSERT_TRUE(terminal.Shows("(Ctrl-C once more, Ctrl-D or /exit leaves)"));
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type("hi\n");
  ASSERT_TRUE(terminal.Shows("hi\r\n")); // the echo; the answer has no end of its own
  ASSERT_TRUE(terminal.ShowsMore());
  terminal.Type("\x03");
  ASSERT_TRUE(terminal.Shows("tokens/s)"));
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type("\x03");
  ASSERT_TRUE(terminal.Shows("once more"));
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130);
}

TEST_F(ChatTest, InATerminalErrorsAreNoEnd) {
  Trained();
  Terminal terminal({"chat", run_, "--template", template_, "--temperature", "0"});
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type(std::string(60, 'q') + "\n");
  ASSERT_TRUE(terminal.Shows("error: the message has 65 tokens"));
  ASSERT_TRUE(terminal.Shows("> "));
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(ChatTest, BrokenFilesOfACheckpointAreNamed) {
  Trained();
  std::string checkpoint = run_ + "/checkpoints/step-000012";
  std::ofstream(checkpoint + "/generation_config.json") << "{\"eos_token_id\": [1, 300]}";
  EXPECT_EQ(Chat("x\n", {"--template", template_}).error,
            "error: " + checkpoint +
                "/generation_config.json: eos_token_id should be an id below 300, or a list of such\n");
  std::ofstream(checkpoint + "/generation_config.json") << "{";
  EXPECT_EQ(Chat("x\n", {"--template", template_}).error,
            "error: " + checkpoint + "/generation_config.json is not valid JSON\n");
}

} // namespace
} // namespace weft
