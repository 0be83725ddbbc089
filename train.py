"""Train a model from a file of applications.

python train.py --pretrain --train --preset fast                  # a minute, the bundled data
python train.py --pretrain --train                                # the default preset
python train.py --pretrain --train --data loans.csv --target Default
python train.py --help
"""

from loan_default.cli.main import train_main

if __name__ == "__main__":
    train_main()
