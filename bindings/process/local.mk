bindings_sources += \
	%D%/finish.c %D%/finish.h \
	%D%/process.c %D%/process.h \
	%D%/process_pool.c %D%/process_pool.h \
	%D%/process_worker.c %D%/process_worker.h \
	%D%/snapshot.c %D%/snapshot.h \
	%D%/target.c %D%/target.h \
	%D%/threading.c %D%/threading.h
