namespace mini {
int server_main(int argc, char ** argv);
}

int main(int argc, char ** argv) {
    return mini::server_main(argc, argv);
}
