# nginx's configuration for an installation; the quickstart fills the same templates for itself (stack/server.py).
nginxdir = $(pkgdatadir)/nginx
nginx_DATA = nginx/http.conf nginx/server.conf nginx/fastcgi.conf nginx/site.conf.example \
	nginx/stableconfigs-prefix.conf nginx/stableconfigs-root.conf nginx/v1-prefix.conf \
	nginx/metrics-prefix.conf nginx/stan-prefix.conf nginx/stan-root.conf nginx/stan-cache.conf
dist_nginx_DATA = nginx/stan-origins.map
NGINX_TEMPLATES = nginx/nginx.conf.in nginx/http.conf.in nginx/server.conf.in nginx/fastcgi.conf.in nginx/site.conf.in \
	nginx/service.conf.in nginx/stan.conf.in nginx/stan-cache.conf.in
EXTRA_DIST += $(NGINX_TEMPLATES)
CLEANFILES += $(nginx_DATA)

# What stack/server.py calls values(), for an installation.
FILL = $(MKDIR_P) nginx conf/tools && $(SED) \
	-e 's,[@]spool[@],$(localstatedir)/lib/spoolgate/spool,g' -e 's,[@]run[@],/run/spoolgate,g' \
	-e 's,[@]secrets[@],/run/spoolgate/secrets,g' -e 's,[@]transient[@],/run/spoolgate/transient,g' \
	-e 's,[@]gate_socket[@],/run/spoolgate/gate.sock,g' -e 's,[@]gate_state[@],$(localstatedir)/lib/spoolgate/gate,g' \
	-e 's,[@]tools[@],$(sysconfdir)/spoolgate/tools,g' -e 's,[@]pkglibexecdir[@],$(pkglibexecdir),g' -e 's,[@]bindir[@],$(bindir),g' \
	-e 's,[@]read_group[@],spoolgate-read,g' -e 's,[@]gate_group[@],spoolgate-gate,g' \
	-e 's,[@]gate_user[@],spoolgate-gate,g' -e 's,[@]admin_user[@],root,g' \
	-e 's,[@]nginx[@],$(pkgdatadir)/nginx,g' -e 's,[@]connections[@],512,g' \
	-e 's,[@]stan_cache[@],$(localstatedir)/lib/spoolgate/spool/cache/stan,g' -e 's,[@]brotli_static[@],brotli_static on;,g'
FILL_STAN = $(FILL) -e 's,[@]service[@],stan,g' -e 's,[@]body_max[@],11m,g' -e 's,[@]shape[@],stan,g'
FILL_SERVICE = $(FILL) -e 's,[@]service[@],stableconfigs,g' -e 's,[@]body_max[@],4160k,g' -e 's,[@]shape[@],plain,g'

nginx/http.conf: nginx/http.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/nginx/http.conf.in >$@
nginx/server.conf: nginx/server.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/nginx/server.conf.in >$@
nginx/fastcgi.conf: nginx/fastcgi.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/nginx/fastcgi.conf.in >$@
nginx/site.conf.example: nginx/site.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/nginx/site.conf.in >$@
nginx/stableconfigs-prefix.conf: nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL_SERVICE) -e 's,[@]prefix[@],/stableconfigs,g' $(srcdir)/nginx/service.conf.in >$@
nginx/v1-prefix.conf: nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL) -e 's,[@]service[@],v1,g' -e 's,[@]body_max[@],257m,g' -e 's,[@]shape[@],problem,g' \
		-e 's,[@]prefix[@],/v1,g' $(srcdir)/nginx/service.conf.in >$@
nginx/metrics-prefix.conf: nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL) -e 's,[@]service[@],metrics,g' -e 's,[@]body_max[@],4k,g' -e 's,[@]shape[@],text,g' \
		-e 's,[@]prefix[@],/metrics,g' $(srcdir)/nginx/service.conf.in >$@
nginx/stableconfigs-root.conf: nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL_SERVICE) -e 's,[@]prefix[@],,g' $(srcdir)/nginx/service.conf.in >$@
nginx/stan-prefix.conf: nginx/stan.conf.in nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL_STAN) -e 's,[@]prefix[@],/stan,g' $(srcdir)/nginx/stan.conf.in $(srcdir)/nginx/service.conf.in >$@
nginx/stan-root.conf: nginx/stan.conf.in nginx/service.conf.in Makefile
	$(AM_V_GEN)$(FILL_STAN) -e 's,[@]prefix[@],,g' $(srcdir)/nginx/stan.conf.in $(srcdir)/nginx/service.conf.in >$@
nginx/stan-cache.conf: nginx/stan-cache.conf.in Makefile
	$(AM_V_GEN)$(FILL) $(srcdir)/nginx/stan-cache.conf.in >$@
