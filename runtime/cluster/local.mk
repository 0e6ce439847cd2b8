# With hiredis only.
if HAVE_HIREDIS
runtime_sources += \
	%D%/batch.c \
	%D%/call.c %D%/call.h \
	%D%/client.c %D%/client.h \
	%D%/clocks.c %D%/clocks.h \
	%D%/each.c \
	%D%/functions.c %D%/functions.h \
	%D%/hold.c \
	%D%/sessions.c %D%/sessions.h \
	%D%/identity.c %D%/identity.h \
	%D%/internal.h \
	%D%/member.c %D%/member.h \
	%D%/modules.c %D%/modules.h \
	%D%/parts.c %D%/parts.h \
	%D%/private.c %D%/private.h \
	%D%/questions.c \
	%D%/receive.c \
	%D%/redis.c %D%/redis.h \
	%D%/send.c \
	%D%/server.c %D%/server.h \
	%D%/url.c %D%/url.h
endif
