# Every public header compiles alone, with our include directory and nothing else, and reaches no
# third-party header. Only the mock and the conformance suite may include GoogleTest.
add_library(header_tests OBJECT)
get_target_property(core_headers progress_tracker HEADER_SET)
get_target_property(testing_headers progress_tracker_testing HEADER_SET)
foreach(path IN LISTS core_headers testing_headers)
  string(REGEX REPLACE "^.*include/progress_tracker/" "" header "${path}")
  set(may_use_gtest 0)
  if(header MATCHES "testing/(mock_tracker|conformance)\\.h")
    set(may_use_gtest 1)
  endif()
  string(MAKE_C_IDENTIFIER "${header}" name)
  configure_file(
    "${CMAKE_CURRENT_LIST_DIR}/header_test.cpp.in"
    "${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.cpp" @ONLY
  )
  target_sources(header_tests PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.cpp")
endforeach()
target_compile_features(header_tests PRIVATE cxx_std_20)
target_include_directories(
  header_tests
  PRIVATE $<TARGET_PROPERTY:progress_tracker::progress_tracker,INTERFACE_INCLUDE_DIRECTORIES>
)
set_target_properties(header_tests PROPERTIES CXX_EXTENSIONS OFF CXX_CLANG_TIDY "")
progress_tracker_warnings(header_tests)
