"""IMDb's 50,000 film reviews (Maas et al., 2011), in every form in which they go round."""
