"""The layered sorter of meta-atoms: from the cells of one array to classes, in NumPy, without training.

``cells`` lays the cells out, ``alignment`` finds each pillar in its cell and the array's reference, ``measures`` says
how far a cell is from it, ``planting`` finds how far is too far, and ``layers`` takes the cells, class after class.
``seams`` finds where shots meet, ``context`` describes every cell among its neighbours, ``ranking`` orders them, and
``seed_layers`` is the notebook's arithmetic, for comparison. ``sorting`` is the way in.
"""
