# cmake -D INPUT=page.html -D OUTPUT=page.cpp -D NAME=operator_page -P AmsEmbedText.cmake
# Writes a source with the file's text as `extern const char ams::NAME[]`.
file(READ ${INPUT} _text)
file(WRITE ${OUTPUT} "namespace ams {\nextern const char ${NAME}[];\nconst char ${NAME}[] = R\"ams_text(${_text})ams_text\";\n}  // namespace ams\n")
