bindings_sources += \
	%D%/helpers.c %D%/helpers.h \
	%D%/lib.c %D%/lib.h \
	%D%/pools.c %D%/pools.h \
	%D%/popen.c %D%/popen.h \
	%D%/program.c %D%/program.h \
	%D%/scope.c %D%/scope.h \
	%D%/scripts.c %D%/scripts.h \
	%D%/socket.c %D%/socket.h \
	%D%/statistics.c %D%/statistics.h
