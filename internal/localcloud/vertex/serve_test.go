package vertex_test

func serve() {}
