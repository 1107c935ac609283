"""Classes by their text: from words to an embedding, and from an embedding to classes of a text-driven network.

`tokenizer` cuts a text into the numbers that CLIP reads, `encoder` opens a text encoder in the user's folder and runs
it, `embeddings` keeps what comes out in a file, and puts it into a network.
"""

from ctatlas.models.text.embeddings import Embeddings, embedded_card, read_embeddings, write_embeddings
from ctatlas.models.text.encoder import TextEncoder, open_encoder

__all__ = ["Embeddings", "TextEncoder", "embedded_card", "open_encoder", "read_embeddings", "write_embeddings"]
