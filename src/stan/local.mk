# The tool of the Stan compile service.
dist_pkglibexec_SCRIPTS += src/stan/stan-compile
