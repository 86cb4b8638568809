class Group:
    scales = True


class Cache:
    groups: tuple[Group, ...] = ()
