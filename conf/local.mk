# Settings and tool files as an administrator finds them: copied to $(sysconfdir)/spoolgate and changed there.
exampledir = $(docdir)/examples
example_DATA = conf/spoolgate.conf
toolsdir = $(docdir)/examples/tools
tools_DATA = conf/tools/stableconfigs.tool
EXTRA_DIST += conf/spoolgate.conf.in conf/tools/stableconfigs.tool.in
CLEANFILES += $(example_DATA) $(tools_DATA)

conf/spoolgate.conf: conf/spoolgate.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/conf/spoolgate.conf.in >$@
conf/tools/stableconfigs.tool: conf/tools/stableconfigs.tool.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/conf/tools/stableconfigs.tool.in >$@
