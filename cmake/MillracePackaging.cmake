# What the program says of itself (manual page, completion) and what runs it (systemd), made with
# every build and put where the system looks.
set(packaging_dir ${PROJECT_BINARY_DIR}/packaging)
file(MAKE_DIRECTORY ${packaging_dir})

# millrace_says(FILE ARGUMENT ...): what `millrace ARGUMENT ...` prints.
function(millrace_says file)
  string(JOIN " " command ${ARGN})
  add_custom_command(OUTPUT ${packaging_dir}/${file}
    COMMAND millrace_cli ${ARGN} > ${packaging_dir}/${file}
    DEPENDS millrace_cli COMMENT "millrace ${command}" VERBATIM)
  set_property(GLOBAL APPEND PROPERTY MILLRACE_SAYS ${packaging_dir}/${file})
endfunction()
millrace_says(millrace.1 man)
millrace_says(millrace.bash completion bash)
millrace_says(_millrace completion zsh)
millrace_says(millrace.fish completion fish)
get_property(said GLOBAL PROPERTY MILLRACE_SAYS)
add_custom_target(packaging ALL DEPENDS ${said})

configure_file(${PROJECT_SOURCE_DIR}/packaging/millrace.service.in ${packaging_dir}/millrace.service @ONLY)

install(FILES ${packaging_dir}/millrace.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${packaging_dir}/millrace.bash RENAME millrace
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${packaging_dir}/_millrace DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${packaging_dir}/millrace.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${packaging_dir}/millrace.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/grafana.json DESTINATION ${CMAKE_INSTALL_DATADIR}/millrace)
