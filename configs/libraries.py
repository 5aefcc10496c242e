"""How the libraries that load weights behave in our commands."""

from __future__ import annotations


def quiet_libraries() -> None:
    """Let diffusers, transformers and the hub's client draw no bars and speak of errors alone.

    What is missing or unused our own messages say, in one line.
    """
    import warnings

    import diffusers
    import huggingface_hub
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    for library in (diffusers, huggingface_hub, transformers):
        library.utils.logging.set_verbosity_error()
    # diffusers calls the hub's client with arguments of yesterday
    warnings.filterwarnings("ignore", module=r"huggingface_hub\.")
