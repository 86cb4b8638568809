extern "C" int probe_run(float *x);

int main() { return probe_run(nullptr); }
