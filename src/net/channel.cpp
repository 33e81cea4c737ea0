#include "channel.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <cmath>
#include <exception>
#include <string_view>
#include <utility>

#include "ams/session/text.hpp"

namespace ams::detail {
namespace {

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

Lane lane_of(MessageKind kind) {
  switch (kind) {
    case MessageKind::frame_batch:
      return Lane::frames;
    case MessageKind::update:
    case MessageKind::snapshot:
    case MessageKind::snapshot_part:
    case MessageKind::bye:
      return Lane::bulk;  // a Bye ends what came before it
    default:
      return Lane::control;
  }
}

websocket::close_code close_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unauthorized:
      return websocket::close_code::policy_error;
    case ErrorCode::limit_exceeded:
      return websocket::close_code::too_big;
    case ErrorCode::malformed_data:
    case ErrorCode::unsupported_version:
    case ErrorCode::protocol_violation:
      return websocket::close_code::protocol_error;
    default:
      return websocket::close_code::internal_error;
  }
}

websocket::close_reason make_close_reason(websocket::close_code code, const std::string& text) {
  websocket::close_reason reason(code);
  const std::string_view cut = cut_text(text, reason.reason.max_size());
  reason.reason.assign(cut.data(), cut.size());
  return reason;
}

}  // namespace

Duration to_timeout(double seconds, const char* option) {
  if (!(seconds > 0 && seconds <= 1e6)) {
    throw Error(
        ErrorCode::invalid_argument,
        std::string(option) + " is " + std::to_string(seconds) + " (over 0 and up to 1e6 allowed)");
  }
  return std::max(to_duration(seconds), Duration(std::chrono::milliseconds(1)));
}

Duration to_delay(double seconds) {
  if (std::isnan(seconds)) {
    throw Error(ErrorCode::invalid_argument, "delay_seconds is not a number");
  }
  return to_duration(std::clamp(seconds, 0.0, 1e8));
}

void harden(asio::ssl::context& context) {
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  // Tickets would cost about 500 bytes a connection, and connections here are few and long.
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  // For TLS 1.2 only; every suite of TLS 1.3 will do.
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL");
}

std::string describe(error_code error) {
  if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
    return "the peer ended the connection";
  }
  if (error == beast::error::timeout) {
    return "timed out";
  }
  if (error.category() == asio::error::get_ssl_category()) {
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(error.value()));
    return std::string("TLS: ") + (reason != nullptr ? reason : error.message().c_str());
  }
  std::string message = error.message();
  if (!message.empty() && message[0] >= 'A' && message[0] <= 'Z') {
    message[0] = static_cast<char>(message[0] - 'A' + 'a');
  }
  return message;
}

Channel::Channel(WebSocket websocket, std::shared_ptr<SocketCounters> counters, Options options)
    : websocket_(std::move(websocket)),
      counters_(std::move(counters)),
      options_(options),
      executor_(websocket_.get_executor()),
      close_timer_(executor_),
      assembler_(options.max_message_bytes) {}

void Channel::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  beast::get_lowest_layer(websocket_).expires_never();
  websocket_.next_layer().set_teardown_timeout(options_.close_timeout);
  websocket::stream_base::timeout timeout{};
  timeout.handshake_timeout = options_.close_timeout;
  timeout.idle_timeout = options_.idle_timeout;
  timeout.keep_alive_pings = true;
  websocket_.set_option(timeout);
  websocket_.binary(true);
  // One chunk is one frame, and one TLS record (default_chunk_bytes).
  websocket_.auto_fragment(false);
  websocket_.write_buffer_bytes(16384);
  set_max_message_bytes(options_.max_message_bytes);
  read();
}

void Channel::set_max_message_bytes(std::size_t bytes) {
  assembler_.set_max_message_bytes(bytes);
  websocket_.read_message_max(std::min(bytes + max_chunk_header_bytes, max_chunk_bytes));
}

// ---- reading ----

void Channel::read() {
  websocket_.async_read(read_buffer_, [self = shared_from_this()](error_code error, std::size_t) {
    self->on_read(error);
  });
}

void Channel::on_read(error_code error) {
  if (state_ == State::closed) {
    return;
  }
  if (error) {
    // While the close handshake is on its way, that one (or its timer) says when all is over.
    if (state_ != State::closing) {
      finish(reason_of(error));
    }
    return;
  }
  if (!failed_) {
    const auto data = read_buffer_.data();
    deliver({static_cast<const std::byte*>(data.data()), data.size()});
  }
  read_buffer_.consume(read_buffer_.size());
  // The close handshake reads for itself.
  if (state_ == State::open || state_ == State::draining) {
    read();
  }
}

void Channel::deliver(std::span<const std::byte> chunk) {
  try {
    if (!websocket_.got_binary()) {
      throw Error(ErrorCode::protocol_violation, "a text frame (only binary frames are allowed)");
    }
    if (auto message = assembler_.feed(chunk)) {
      handlers_.on_message(std::move(*message));
    }
  } catch (const Error& error) {
    fail(error);
  } catch (const std::exception& error) {
    fail(Error(ErrorCode::unavailable, std::string("internal error: ") + error.what()));
  } catch (...) {
    fail(Error(ErrorCode::unavailable, "internal error"));
  }
}

// ---- writing ----

bool Channel::send(MessageKind kind, Bytes message) {
  if (!accepts_) {
    return false;
  }
  const std::size_t size = message.size();
  if (queued_bytes_.fetch_add(size) + size > options_.max_queue_bytes) {
    queued_bytes_ -= size;
    accepts_ = false;
    asio::post(executor_, [self = shared_from_this()] {
      self->fail(Error(ErrorCode::limit_exceeded,
                       "over " + std::to_string(self->options_.max_queue_bytes) +
                           " bytes are queued: the peer reads too slowly"));
    });
    return false;
  }
  if (kind == MessageKind::bye || kind == MessageKind::fault) {
    accepts_ = false;
  }
  // Through the executor's queue even on the io thread, so that the order of the calls is kept.
  asio::post(executor_, [self = shared_from_this(), kind, message = std::move(message)]() mutable {
    const std::size_t posted = message.size();
    if (self->state_ != State::open && self->state_ != State::draining) {
      self->queued_bytes_ -= posted;
      return;
    }
    if (kind == MessageKind::fault) {
      self->drop_queue_but_control();
    }
    self->queue_.push(lane_of(kind), std::move(message));
    if (kind == MessageKind::bye && self->options_.peer_closes_after_bye) {
      self->close_timer_.expires_after(self->options_.close_timeout);
      self->close_timer_.async_wait([self](error_code error) {
        if (!error) {
          self->close(websocket::close_code::normal, "said Bye");
        }
      });
    } else if (kind == MessageKind::bye || kind == MessageKind::fault) {
      self->close(kind == MessageKind::bye ? websocket::close_code::normal
                                           : websocket::close_code::policy_error,
                  kind == MessageKind::bye ? "said Bye" : "sent a Fault");
    }
    self->write();
  });
  return true;
}

void Channel::write() {
  if (writing_ || (state_ != State::open && state_ != State::draining)) {
    return;
  }
  auto next = queue_.pop();
  if (!next) {
    if (state_ == State::draining) {
      begin_close_handshake();
    }
    return;
  }
  writing_ = true;
  chunk_ = std::move(*next);
  const std::array buffers{asio::const_buffer(chunk_.header.data(), chunk_.header_bytes),
                           asio::const_buffer(chunk_.part.data(), chunk_.part.size())};
  const std::size_t taken = chunk_.part.size();
  websocket_.async_write(buffers,
                         [self = shared_from_this(), taken](error_code error, std::size_t) {
                           self->queued_bytes_ -= taken;
                           self->on_write(error);
                         });
}

void Channel::on_write(error_code error) {
  writing_ = false;
  if (state_ == State::closed) {
    return;
  }
  // After an error the pending read fails too and knows better why.
  if (!error) {
    write();
  }
}

void Channel::drop_queue_but_control() {
  const std::size_t before = queue_.queued_bytes();
  queue_.keep_only(Lane::control);
  queued_bytes_ -= before - queue_.queued_bytes();
}

// ---- the end ----

void Channel::close(websocket::close_code code, std::string reason) {
  if (state_ != State::open) {
    return;
  }
  accepts_ = false;
  state_ = State::draining;
  close_code_ = code;
  close_reason_ = std::move(reason);
  close_timer_.expires_after(options_.close_timeout);
  close_timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) {
      self->finish(self->close_reason_);
    }
  });
  write();
}

void Channel::fail(const Error& error) {
  if (failed_ || (state_ != State::open && state_ != State::draining)) {
    return;
  }
  failed_ = true;
  drop_queue_but_control();
  Bytes message = handlers_.farewell(error);
  queued_bytes_ += message.size();
  queue_.push(Lane::control, std::move(message));
  close(close_code_of(error.code()), error.what());  // has no effect when draining already
  close_code_ = close_code_of(error.code());
  close_reason_ = error.what();
  write();
}

void Channel::begin_close_handshake() {
  state_ = State::closing;
  websocket_.async_close(
      make_close_reason(close_code_, close_reason_),
      [self = shared_from_this()](error_code) { self->finish(self->close_reason_); });
}

void Channel::cut(const std::string& reason) {
  finish(reason);
}

void Channel::finish(const std::string& reason) {
  if (state_ == State::closed) {
    return;
  }
  const auto self = shared_from_this();
  state_ = State::closed;
  accepts_ = false;
  close_timer_.cancel();
  beast::get_lowest_layer(websocket_).close();
  // Handlers refer to the owner, which may refer to this channel; and one of them may be what is
  // running, so they are destroyed later.
  const auto handlers = std::make_shared<Handlers>(std::exchange(handlers_, {}));
  asio::post(executor_, [handlers] {});
  if (handlers->on_closed) {
    handlers->on_closed(printable(reason));
  }
}

std::string Channel::reason_of(error_code error) const {
  if (state_ == State::draining) {
    return close_reason_;
  }
  // Set as soon as the peer's close frame is read, whatever became of the answer to it.
  if (const auto& reason = websocket_.reason()) {
    return reason.reason.empty() ? "the peer closed the connection"
                                 : "the peer closed the connection: " +
                                       std::string(reason.reason.data(), reason.reason.size());
  }
  if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow) {
    return "the peer sent a WebSocket message that is too long";
  }
  if (error == websocket::condition::protocol_violation) {
    return "the peer broke a rule of WebSocket: " + describe(error);
  }
  if (error == beast::error::timeout) {
    return "the peer was silent for too long";
  }
  return "connection lost: " + describe(error);
}

}  // namespace ams::detail
