dist_man_MANS += \
	man/spoolgate.1 \
	man/spoolgate.conf.5 \
	man/spoolgate-pack.8 \
	man/spoolgate-send.8 \
	man/spoolgate-run.8 \
	man/spoolgate-tbn.1 \
	man/spoolgate-tool.5 \
	man/spoolgate.fcgi.8 \
	man/spoolgated.8
