#include "muxer.hpp"

#include <system_error>
#include <utility>

namespace ams::libav {

Muxer::Muxer(std::filesystem::path path, const char* format)
    : path_(std::move(path)), partial_(path_) {
  quiet();
  partial_ += ".partial";
  AVFormatContext* context = nullptr;
  // The MP4 muxer opens the file by this name a second time, to move its index to the front.
  const std::string url = "file:" + partial_.string();
  check(avformat_alloc_output_context2(&context, nullptr, format, url.c_str()),
        std::string("libavformat does not write ") + format);
  output_.reset(context);
  output_->flags |= AVFMT_FLAG_BITEXACT;
  stream_ = avformat_new_stream(output_.get(), nullptr);
  if (stream_ == nullptr) throw std::bad_alloc();
  if (const int code = avio_open(&output_->pb, url.c_str(), AVIO_FLAG_WRITE); code < 0) fail(code);
}

Muxer::~Muxer() {
  if (finished_) return;
  output_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

bool Muxer::wants_global_headers() const {
  return (output_->oformat->flags & AVFMT_GLOBALHEADER) != 0;
}

void Muxer::write_header(const char* option, const char* value) {
  AVDictionary* options = nullptr;
  if (option != nullptr) av_dict_set(&options, option, value, 0);
  const int code = avformat_write_header(output_.get(), &options);
  av_dict_free(&options);
  if (code < 0) fail(code);
}

void Muxer::write(AVPacket& packet, AVRational time_base) {
  packet.stream_index = stream_->index;
  av_packet_rescale_ts(&packet, time_base, stream_->time_base);
  if (const int code = av_interleaved_write_frame(output_.get(), &packet); code < 0) fail(code);
}

void Muxer::finish() {
  if (const int code = av_write_trailer(output_.get()); code < 0) fail(code);
  if (const int code = avio_closep(&output_->pb); code < 0) fail(code);
  std::error_code error;
  std::filesystem::rename(partial_, path_, error);
  if (error) {
    throw Error(ErrorCode::io_error, "cannot rename " + partial_.string() + " to " +
                                         path_.string() + ": " + error.message());
  }
  finished_ = true;
}

void Muxer::fail(int code) const {
  throw Error(ErrorCode::io_error, "cannot write " + partial_.string() + ": " + error_text(code));
}

}  // namespace ams::libav
