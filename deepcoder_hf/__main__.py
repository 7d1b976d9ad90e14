"""`python -m deepcoder_hf`: the same as the command `deepcoder-hf`."""

from deepcoder_hf.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m deepcoder_hf")
