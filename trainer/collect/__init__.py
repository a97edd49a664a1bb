"""``trainer collect``: photographs for a list of people, from Wikidata and Wikimedia Commons, with author and licence.

    list of labels ─▶ identity ─▶ facts ─▶ files ─▶ rules ─▶ pictures ─▶ faces that agree ─▶ raw_dataset/LABEL/*.jpg
                      (Wikidata)           (Commons)         (960 px)

- ``services`` says where the services are and who asks; ``transport`` fetches, ``client`` waits and tries again, and
  keeps answers in ``cache``; ``shapes`` reads them, whatever their shape.
- ``wikidata`` and ``identity`` find the person; ``commons`` describes files; ``licences`` and ``rules`` refuse.
- ``faces`` decides which face of a picture is the person; ``keeping`` puts pictures into folders, ``ledger`` keeps what
  became of everybody.
- ``collecting`` goes through the list, ``running`` tells of it, ``command`` is the command line.

What comes over the network is never trusted: sizes, types, names, addresses and pictures are checked.
"""
