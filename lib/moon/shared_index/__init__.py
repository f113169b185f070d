"""The index that many machines share: PostgreSQL as an engine beside the embedded one (decision 0029).

The local index stays what a machine answers its own questions from. What is here holds the rows of every machine, so
that one can ask all: `SharedIndex` reads, `SharedIndexWriter` writes, `outbox_state` says what still has to be sent.
"""
