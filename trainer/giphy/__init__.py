"""Import of GIPHY's own open release, the model that this project's labels and layout of files come from.

    archive.py     the two files that matter, out of ``resources.tar.gz`` or its unpacked folder
    pickles.py     a machine that reads pickles and can do nothing but build plain values
    checkpoint.py  the tensors of a PyTorch checkpoint, zip or legacy form, without PyTorch
    labels.py      which class is who: the rank of the sorted label
    network.py     the network in Keras: ResNet-50 as PyTorch has it, and the dense layer that gives embeddings
    mapping.py     which tensor is which variable
    folder.py      the folder that the import writes: manifest, labels, network, classes
    faces.py       how that release cuts and stretches faces
    naming.py      who is it, by that release's rule
    importing.py   all of it, one after the other

Nothing here trusts what it reads. Behaviour was taken from the sources of ``Giphy/celeb-detection-oss`` (MPL-2.0); no
code of it is used.
"""
