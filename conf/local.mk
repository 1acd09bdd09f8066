# Settings and tool files as an administrator finds them: copied to $(sysconfdir)/spoolgate and changed there.
exampledir = $(docdir)/examples
example_DATA = conf/spoolgate.conf
toolsdir = $(docdir)/examples/tools
nodist_tools_DATA = conf/tools/stableconfigs.tool conf/tools/stan.tool
dist_tools_DATA = conf/tools/count.tool conf/tools/glpsol.tool conf/tools/licences.tool
EXTRA_DIST += conf/spoolgate.conf.in conf/tools/stableconfigs.tool.in conf/tools/stan.tool.in
CLEANFILES += $(example_DATA) $(nodist_tools_DATA)

conf/spoolgate.conf: conf/spoolgate.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/conf/spoolgate.conf.in >$@
conf/tools/stableconfigs.tool: conf/tools/stableconfigs.tool.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/conf/tools/stableconfigs.tool.in >$@
conf/tools/stan.tool: conf/tools/stan.tool.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/conf/tools/stan.tool.in >$@
