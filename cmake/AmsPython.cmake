# The Python that the project uses: its torch is linked, its headers are built against, and tests run in it.
# In a pip build it is the one that runs pip; else the caller's choice, the project's own, the machine's.
include_guard()

if(SKBUILD)
  set(AMS_PYTHON_EXECUTABLE ${Python_EXECUTABLE} CACHE FILEPATH "Python of the package and the tests" FORCE)
elseif(NOT AMS_PYTHON_EXECUTABLE)
  unset(AMS_PYTHON_EXECUTABLE CACHE)
  if(EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
    set(AMS_PYTHON_EXECUTABLE ${PROJECT_SOURCE_DIR}/.venv/bin/python CACHE FILEPATH
        "Python of the package and the tests")
  else()
    find_program(AMS_PYTHON_EXECUTABLE python3 DOC "Python of the package and the tests")
  endif()
endif()

# ams_ask_python(<variable> <code>): what the code prints; empty when it fails.
function(ams_ask_python variable code)
  set(answer "")
  if(AMS_PYTHON_EXECUTABLE)
    execute_process(COMMAND ${AMS_PYTHON_EXECUTABLE} -c "${code}" OUTPUT_VARIABLE answer
                    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
      set(answer "")
    endif()
  endif()
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()
