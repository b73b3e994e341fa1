"""People who carry news past one another, in virtual time, each with the real engine.

Nothing of the engine is imitated: every byte between two nodes goes from one ``Session`` to
another, over stores in memory. What is made up is the world around them:

    trace        who was near whom, when; city draws one from a seed
    workload     who writes what
    interest     who wants whose posts; churn says who is switched off when
    world        runs it all; agenda is its clock, link joins two nodes over the air and radio says
                 how fast, node is one of them and mailbox its mail
    liar         what hostile nodes make of their frames
    commons      what equal things nodes share in memory
    oracle       what no engine can beat: unlimited flooding over the same contacts
    report       figures of both, side by side; scenario is a run from beginning to end
"""
