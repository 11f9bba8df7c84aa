"""Small n-gram language models from text: ``text`` prepares it, ``kneser_ney`` estimates, ``arpa`` writes."""
