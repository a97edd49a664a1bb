"""NumPy's products on one thread each, beside networks that have the processors already."""

import threadpoolctl  # type: ignore[import-untyped] # it has no types


def keep_blas_to_one_thread() -> None:
    """Let OpenBLAS compute each product in the thread that asks, in the whole process, from now on.

    Its threads wait for the next product by spinning, each on a processor that a network could have; and a product that
    was shared out waits for whoever got no processor. The products here are small: a few tracks against a gallery.
    """
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")
