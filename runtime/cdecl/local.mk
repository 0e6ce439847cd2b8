runtime_sources += \
	%D%/cdecl.c %D%/cdecl.h \
	%D%/declarator.c %D%/declarator.h \
	%D%/expr.c %D%/expr.h \
	%D%/keywords.c %D%/keywords.h \
	%D%/lex.c %D%/lex.h \
	%D%/reader.c %D%/reader.h \
	%D%/specifiers.c %D%/specifiers.h \
	%D%/symbols.c %D%/symbols.h \
	%D%/type.c %D%/type.h
