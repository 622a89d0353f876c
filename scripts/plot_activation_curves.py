"""Draw the transfer curves of neurons beside the ReLU: the same as ``respike curve``.

python scripts/plot_activation_curves.py -T 4,16,64 --tau 5 --tau 20 -o curves.png
python scripts/plot_activation_curves.py --neuron all -T 64 --tau 5 -o neurons.png
"""

from respike.cli.commands.curve import curve

if __name__ == "__main__":
    curve()
