# `cmake --install`: the program, the headers and a package for find_package(millrace).
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY MILLRACE_ROOMS)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/millrace)

install(TARGETS millrace_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ${rooms} EXPORT millraceTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/millrace
  FILES_MATCHING PATTERN "*.h" PATTERN "cli" EXCLUDE)
install(EXPORT millraceTargets NAMESPACE millrace:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/millraceConfig.cmake.in
  ${PROJECT_BINARY_DIR}/millraceConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/millraceConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/millraceConfig.cmake
  ${PROJECT_BINARY_DIR}/millraceConfigVersion.cmake DESTINATION ${package_dir})
