"""Does a GGUF file do what the trained model did? Each check measures the file through llama.cpp and the model through the engine.

golden.py         fixed texts and chats
texts.py          token ids, rendered chats, bos, end tokens: no weights are compared
blocks.py         types that the weights are stored in, bits a weight
predictions.py    next tokens at positions of right answers: argmax, top ten, KL; is the adapter in the file?
gguf_file.py      all of these on one file
"""
