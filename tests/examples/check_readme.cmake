# cmake -DREADME=README.md -DPROGRAM=readme.cpp -P check_readme.cmake: the README shows the program
# as it is built and run here, word for word.
file(READ "${README}" readme)
file(READ "${PROGRAM}" program)
string(FIND "${readme}" "```cpp\n${program}```" position)
if(position EQUAL -1)
  message(FATAL_ERROR "${README} does not hold ${PROGRAM} word for word")
endif()
