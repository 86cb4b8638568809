from build.doors.nvidia import Gpu, parse

RTX = Gpu(uuid="GPU-1a2b", name="NVIDIA GeForce RTX 5090", capability="12.0", driver="580.65.06")


def test_each_line_is_a_gpu() -> None:
    text = (
        "GPU-1a2b, 12.0, 580.65.06, NVIDIA GeForce RTX 5090\n"
        "GPU-3c4d, 8.6, 580.65.06, NVIDIA RTX A4000, Laptop\n"
    )
    assert parse(text) == (
        RTX,
        Gpu(uuid="GPU-3c4d", name="NVIDIA RTX A4000, Laptop", capability="8.6", driver="580.65.06"),
    )


def test_what_the_tool_says_without_a_driver_is_no_gpu() -> None:
    assert parse("NVIDIA-SMI has failed because it couldn't communicate, with, the, driver.\n") == ()
    assert parse("No devices were found\n") == ()
    assert parse("") == ()


def test_a_person_reads_name_architecture_and_driver() -> None:
    assert str(RTX) == "NVIDIA GeForce RTX 5090 (sm_120, driver 580.65.06)"
